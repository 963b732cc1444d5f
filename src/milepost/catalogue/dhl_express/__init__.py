"""DHL Express, by the MyDHL API."""
