import type { ReplayTime } from '@shadowcat/tape';
import { badValue, type OptionType } from './option-type.js';

const SPEED = /^x(\d{1,6}(?:\.\d{1,3})?)$/;

/** When answers come: `instant`, `recorded`, or so many times as fast as recorded. */
export const replayTime: OptionType<ReplayTime> = {
  label: 'instant|recorded|xN',
  parse(value) {
    if (value === 'instant') return 'instant';
    if (value === 'recorded') return 1;
    const speed = Number(SPEED.exec(value)?.[1] ?? 0);
    if (!(speed > 0)) throw badValue(value, 'a way to keep time', 'write instant, recorded, or x2 for twice as fast');
    return speed;
  },
  show: (time) => (time === 'instant' ? time : time === 1 ? 'recorded' : `x${time}`),
  schema: { type: 'string', pattern: '^(instant|recorded|x\\d+(\\.\\d+)?)$' },
};

export const REPORT_FORMATS = ['junit', 'sarif', 'json', 'text'] as const;

/** A report and the file that it goes to. */
export interface ReportFile {
  readonly format: (typeof REPORT_FORMATS)[number];
  /** As it was given. */
  readonly file: string;
}

export const reportTarget: OptionType<ReportFile> = {
  label: 'format=file',
  parse(value) {
    const [, word, file = ''] = /^([a-z]+)=(.+)$/.exec(value) ?? [];
    const format = REPORT_FORMATS.find((known) => known === word);
    if (format === undefined || file === '') {
      throw badValue(value, 'a report', `write ${REPORT_FORMATS.map((known) => `${known}=file`).join(', ')}`);
    }
    return { format, file };
  },
  show: ({ format, file }) => `${format}=${file}`,
  schema: { type: 'string', pattern: `^(${REPORT_FORMATS.join('|')})=.+$` },
};
