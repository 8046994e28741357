"""What has come in: files being received, files that are whole, and (beside them) the arrivals they become."""
