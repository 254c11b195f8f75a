"""What the pipeline costs and how exact it is, measured against what it could be: `make bench`."""
