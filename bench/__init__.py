"""What the studio costs, beside the plain tools doing the same work in the same run."""
