"""A carrier that does not exist: what ``milepost carrier new`` starts from."""
