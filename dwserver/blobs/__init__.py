"""External payload storage: blobs outside the database, by driver
(``spec/control-plane-api.md §7, §13.4``)."""
