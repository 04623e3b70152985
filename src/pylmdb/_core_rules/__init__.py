# SPDX-License-Identifier: MIT
"""Rules that are the same for both cores, and need no native handle of their own."""
