"""Which machine is whose player: enrolled by the code on its screen, revoked in one command."""
