"""Translating by chat, where the model that hears does not: lines, questions, and what is made of answers."""
