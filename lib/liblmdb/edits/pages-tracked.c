		dummy.mc_snum = 0; \
