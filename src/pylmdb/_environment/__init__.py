# SPDX-License-Identifier: MIT
"""The methods of Environment, by concern."""
