"""Correos Express, by its REST service seguimientoEnvio."""
