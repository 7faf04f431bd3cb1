"""What the result files say: statistics, tables, figures, the report and the docs page."""
