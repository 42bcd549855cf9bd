"""Figures of the service by day, language and key: filled as sessions end, read without looking at any session.

Pure: histogram, figures, grouping, chart.
"""
