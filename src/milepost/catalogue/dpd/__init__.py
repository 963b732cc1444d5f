"""DPD, by the ParcelLifeCycleService of DPD Netherlands and Belgium."""
