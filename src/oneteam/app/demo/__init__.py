"""The demonstration: a synthetic country, three carriers, a university, a health agency and a hub as processes, and their joint study."""
