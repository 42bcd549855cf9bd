"""People's work on a transcript that has ended: corrections, splits, merges, speakers, notes, and their history.

What the machine heard (TranscriptSegment's asr_text, words, times and index) never changes. A passage is a stretch of
it as people see it: one segment, a part of one, or several joined. Only passages that somebody changed are rows.
Pure: words, alignment, passages, splitting, changes, replacing, differences, error_rate, figures.
"""
