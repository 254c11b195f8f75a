"""Object stores: one small contract, a module a provider."""
