"""How films come to players: blocks, who gets which when, what it costs."""
