"""The pure core of money: prices and amounts. Standard library only."""
