"""DHL Parcel Iberia, by the cimapi of its customers."""
