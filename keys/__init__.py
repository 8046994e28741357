"""Keys and secrets: public keys that may log in, host keys, the master key that seals what must not lie about."""
