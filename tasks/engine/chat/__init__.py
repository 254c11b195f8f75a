"""Chat, as far as it goes without a language model: an extractive summary.

Whatever is asked, the answer is made of sentences of the user's last message, the most central ones (BM25
between sentences, and PageRank over it), and where JSON is asked for, by the schema. Nothing in a message
is an instruction to it.
"""
