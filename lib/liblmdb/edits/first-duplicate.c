		mc->mc_flags &= ~C_EOF;
