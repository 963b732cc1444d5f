"""PostNL, by its Shipping Status API."""
