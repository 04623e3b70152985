# SPDX-License-Identifier: MIT
"""One native environment per file and process, and what the process keeps about it."""
