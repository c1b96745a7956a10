"""Two small worlds that an installed Segue can show itself with: `acme`, a shop, and `airline`.
Each holds a database of its own, tools over it, a team of agents and the rules of a scripted stand-in."""
