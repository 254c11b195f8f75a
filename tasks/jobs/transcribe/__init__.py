"""Which language is spoken, agreed on by the segments; and the terms to listen for."""
