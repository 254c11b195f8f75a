"""What is published: a module a format, and the manifest that is written last."""
