# SPDX-License-Identifier: MIT
"""What both cores call: rules about transactions that need no native handle of their own."""
