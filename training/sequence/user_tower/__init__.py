"""The user tower: members, ensemble, loss, initialisation."""
