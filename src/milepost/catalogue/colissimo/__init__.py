"""Colissimo and the other products of La Poste, by its Suivi v2."""
