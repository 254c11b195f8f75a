"""Which language is spoken: agreed on by the segments; terms to listen for; and the translation."""
