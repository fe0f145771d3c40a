"""What every room stands on: errors, clocks, chance, quantities, selectors. Imports nothing of ours."""
