"""FedEx, by its Track API."""
