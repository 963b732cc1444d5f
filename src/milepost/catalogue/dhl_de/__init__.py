"""DHL Paket, by the Parcel DE tracking API."""
