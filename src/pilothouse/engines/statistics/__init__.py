"""What many seeded runs allow one to say: intervals for shares, paired comparisons, and when to stop. Pure."""
