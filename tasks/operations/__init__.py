"""What an operator watches, as Prometheus reads it."""
