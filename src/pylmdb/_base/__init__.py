# SPDX-License-Identifier: MIT
"""What everything else uses: buffers, flags, threads, files."""
