"""What scripts/bench.py is made of: documents, checkpoints, rivals in processes of their own, rounds, report."""
