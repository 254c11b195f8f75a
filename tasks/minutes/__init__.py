"""Minutes, all that is pure of them: what is sent, how it is divided, what is believed of the answer."""
