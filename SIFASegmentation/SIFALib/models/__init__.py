"""Model packages: card, weights, archive and store. No torch."""
