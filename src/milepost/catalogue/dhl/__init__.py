"""DHL, by its Shipment Tracking - Unified API."""
