"""The parts of scripts/scale.py."""
