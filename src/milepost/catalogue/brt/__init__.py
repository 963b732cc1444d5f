"""BRT, by its REST tracking of a parcel."""
