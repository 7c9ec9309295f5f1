"""The rows of the contract, one module per group; `contract` joins them."""
