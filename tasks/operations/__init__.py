"""What is done beside jobs: verifying, erasing, metrics, webhooks, inboxes, models, rehearsals."""
