"""Amazon Shipping, by version 2 of its API in the Selling Partner API."""
