"""How long lists and details of runs take in a database that is full of them."""
