"""Where recordings come from: files, folders and S3."""
