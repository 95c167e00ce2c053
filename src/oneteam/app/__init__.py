"""Where everything is put together: homes, parts, stores, gates and transports."""
