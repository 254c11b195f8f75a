"""Speaking texts: cut into pieces, spoken by the API, joined; every call in the ledger."""
