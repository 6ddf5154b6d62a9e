"""What concerns all chapters: z-scores and exponents in one picture."""
